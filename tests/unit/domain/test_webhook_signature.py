"""The signature against the example of the Standard Webhooks specification's own libraries."""

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.domain.webhook_signature import sign, signed_headers

KEY = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIME, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_is_that_of_the_reference_libraries() -> None:
    assert sign(SecretValue(KEY), ID, TIME, BODY) == SIGNATURE
    assert sign(SecretValue(KEY), ID, TIME, SecretValue(BODY).reveal()) == SIGNATURE


def test_each_key_signs() -> None:
    other = SecretValue(b"o" * 24)

    headers = signed_headers([SecretValue(KEY), other], ID, TIME, BODY)

    assert headers == {
        "webhook-id": ID,
        "webhook-timestamp": str(TIME),
        "webhook-signature": f"{SIGNATURE} {sign(other, ID, TIME, BODY)}",
    }


@pytest.mark.parametrize("key", [b"", b"k" * 23, b"whsec_", b"whsec_c2hvcnQ=", b"whsec_?" * 9])
def test_a_key_that_cannot_be_used_is_refused_and_not_quoted(key: bytes) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        sign(SecretValue(key), ID, TIME, BODY)

    assert "c2hvcnQ" not in refused.value.message
