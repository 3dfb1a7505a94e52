"""What we write on a native Secret to know it again."""

from typing import Final

MANAGED: Final = "keyturn.dev/managed"
"""Label: `true` where we made the native Secret, `merge` where we wrote keys into another's."""

IDENTITY: Final = "keyturn.dev/secret-id"
"""Label: the secret that it shows; only where we made it. It is what ownership rests on."""

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
STORE_ID: Final = "keyturn.dev/store-id"
VERSION: Final = "keyturn.dev/version"
VERSION_ID: Final = "keyturn.dev/version-id"
"""Annotation: the id of that version; of two copies of a store each may give a number anew."""

TAKE_OVER: Final = "import"
"""A person writes this for the version to have the values that stand there made the next one."""

ALLOW: Final = "keyturn.dev/allow"
"""Annotation by the owner of a native Secret: the ManagedSecrets that may take or fill it."""

MADE: Final = "true"
MERGED: Final = "merge"
