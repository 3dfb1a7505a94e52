"""The syntax of templates: Jinja2's, but for all that could compute.

Jinja2 reads a template, and nothing of it is ever compiled or run: what it read is turned into the
few parts below, and all else is refused by name. So there is no code to escape from.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from keyturn.domain.errors import InvalidTemplateError
from keyturn.projection.template_filters import FILTERS

ALLOWED = "write text and expressions such as {{ password | urlencode }}"
MAX_TEMPLATE = 4096
MAX_DEPTH = 32
VALUE = "value"
"""The filter that names a key which is no identifier: `{{ "tls.crt" | value }}`."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A text or a number that stands in the template."""

    value: Any


@dataclass(frozen=True, slots=True)
class KeyOf:
    """The value of a key of the payload."""

    key: str


@dataclass(frozen=True, slots=True)
class Filtered:
    """A value, changed by a filter."""

    name: str
    apply: Callable[..., Any]
    operand: "Expression"
    arguments: tuple["Expression", ...]
    named: tuple[tuple[str, "Expression"], ...]


Expression = Constant | KeyOf | Filtered

_READER = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, extensions=()
)
_CONSTRUCTS: Mapping[type[nodes.Node], str] = {
    nodes.Getattr: "an attribute (a.b); a key with a dot is {{ \"a.b\" | value }}",
    nodes.Getitem: "an index (a[b]); a member of JSON is {{ a | fromJson | get(\"b\") }}",
    nodes.Call: "a call (a()); a filter is {{ key | filter }}",
    nodes.Concat: "a concatenation (a ~ b); write {{ a }}{{ b }}",
    nodes.CondExpr: "a condition (a if b); a fallback is {{ a | default(\"b\") }}",
    nodes.Test: "a test (a is b)",
    nodes.BinExpr: "an operator",
    nodes.UnaryExpr: "an operator",
    nodes.Compare: "a comparison",
    nodes.Literal: "a list or an object",
    nodes.Stmt: "a statement ({% … %})",
}  # fmt: skip


@lru_cache(maxsize=512)
def parse_template(text: str) -> tuple[Expression, ...]:
    """Read a template: the expressions whose values, one after the other, are its result.

    Raises:
        InvalidTemplateError: it holds something other than text, keys, constants and filters;
            the message says what, and what to write.
    """
    if len(text) > MAX_TEMPLATE:
        raise InvalidTemplateError(f"is longer than {MAX_TEMPLATE} characters")
    return tuple(_parts(_read(text)))


def _read(text: str) -> nodes.Template:
    try:
        return _READER.parse(text)
    except TemplateSyntaxError as error:
        # Jinja2's own message quotes the template, in which somebody may have put a value.
        problem = f"cannot be read in line {error.lineno}; {ALLOWED}"
    except RecursionError:
        problem = f"is nested too deeply; {ALLOWED}"
    raise InvalidTemplateError(problem)


def _parts(template: nodes.Template) -> Iterator[Expression]:
    for statement in template.body:
        if not isinstance(statement, nodes.Output):
            raise _refused(statement)
        for node in statement.nodes:
            if isinstance(node, nodes.TemplateData):
                yield Constant(_encodable(node.data))
            else:
                yield _expression(node)


def _expression(node: nodes.Expr, depth: int = 0) -> Expression:
    if depth > MAX_DEPTH:
        raise InvalidTemplateError(f"holds an expression of more than {MAX_DEPTH} filters")
    if isinstance(node, nodes.Const):
        return Constant(_encodable(node.value))
    if isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const):
        return Constant(_negative(node, node.node.value))
    if isinstance(node, nodes.Name):
        return KeyOf(node.name)
    if isinstance(node, nodes.Filter) and node.node is not None:
        return _filtered(node, node.node, depth)
    raise _refused(node)


def _filtered(node: nodes.Filter, operand: nodes.Expr, depth: int) -> Expression:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise InvalidTemplateError(f"cannot hold * or ** arguments; {ALLOWED}")
    if node.name == VALUE:
        return _named_key(node, operand)
    if node.name not in FILTERS:
        near = get_close_matches(node.name, FILTERS, n=1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(FILTERS)}, {VALUE}"
        raise InvalidTemplateError(f"there is no filter {node.name[:64]}; {advice}")
    arguments = tuple(_expression(argument, depth + 1) for argument in node.args)
    named = tuple(_keyword(keyword, depth + 1) for keyword in node.kwargs)
    apply = FILTERS[node.name]
    _check_arguments(node.name, apply, arguments, dict(named))
    return Filtered(node.name, apply, _expression(operand, depth + 1), arguments, named)


def _keyword(node: nodes.Node, depth: int) -> tuple[str, Expression]:
    # Jinja2 annotates them as pairs of expressions; they are its Keyword nodes.
    if not isinstance(node, nodes.Keyword):
        raise _refused(node)
    return node.key, _expression(node.value, depth)


def _named_key(node: nodes.Filter, operand: nodes.Expr) -> KeyOf:
    is_name = isinstance(operand, nodes.Const) and isinstance(operand.value, str)
    if is_name and not node.args and not node.kwargs:
        return KeyOf(operand.as_const())
    raise InvalidTemplateError(
        'the filter value takes the name of a key in quotes: {{ "tls.crt" | value }}'
    )


def _check_arguments(
    name: str, apply: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    signature = inspect.signature(apply)
    try:
        signature.bind(None, *arguments, **named)
    except TypeError:
        parameters = ", ".join(list(signature.parameters)[1:]) or "none"
        raise InvalidTemplateError(
            f"the filter {name} was given wrong arguments; it takes: {parameters}"
        ) from None


def _negative(node: nodes.Neg, value: Any) -> int | float:
    if not isinstance(value, int | float):
        raise _refused(node)
    return -value


def _encodable(value: Any) -> Any:
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InvalidTemplateError("holds half of a character (a lone surrogate)")
    return value


def _refused(node: nodes.Node) -> InvalidTemplateError:
    kinds = (text for kind, text in _CONSTRUCTS.items() if isinstance(node, kind))
    what = next(kinds, "something that is neither a key, a constant nor a filter")
    return InvalidTemplateError(f"cannot hold {what}; {ALLOWED}")
