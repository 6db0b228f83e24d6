"""Texts cut, joined, compared, searched."""

import re
from typing import Annotated, Literal

from pydantic import Field

from nodegraph import Multiline, node

Text = Annotated[str, Multiline()]
CASES = {"UPPERCASE": str.upper, "lowercase": str.lower, "Capitalize": str.capitalize, "Title Case": str.title}
TRIMS = {"Both": str.strip, "Left": str.lstrip, "Right": str.rstrip}


@node("StringConcatenate", title="Concatenate", category="utils/string")
def string_concatenate(string_a: Text, string_b: Text, delimiter: str = "") -> str:
    """Join two texts, with `delimiter` between them."""
    return f"{string_a}{delimiter}{string_b}"


@node("StringSubstring", title="Substring", category="utils/string")
def string_substring(string: Text, start: int, end: int) -> str:
    """Give a text's characters from `start` to before `end`, counted from 0, or from the end with -1, -2 and so on."""
    return string[start:end]


@node("StringLength", title="Length", category="utils/string")
def string_length(string: Text) -> int:
    """Count a text's characters."""
    return len(string)


@node("CaseConverter", title="Case Converter", category="utils/string")
def case_converter(string: Text, mode: Literal["UPPERCASE", "lowercase", "Capitalize", "Title Case"]) -> str:
    """Write a text in large or small letters."""
    return CASES[mode](string)


@node("StringTrim", title="Trim", category="utils/string")
def string_trim(string: Text, mode: Literal["Both", "Left", "Right"]) -> str:
    """Take blanks and line breaks off a text's ends."""
    return TRIMS[mode](string)


@node("StringReplace", title="Replace", category="utils/string")
def string_replace(string: Text, find: Text, replace: Text) -> str:
    """Replace a text wherever it occurs in another."""
    return string.replace(find, replace)


@node("StringContains", title="Contains", category="utils/string")
def string_contains(string: Text, substring: Text, case_sensitive: bool = True) -> bool:
    """Tell whether a text occurs in another."""
    if case_sensitive:
        return substring in string
    return substring.lower() in string.lower()


@node("StringCompare", title="Compare", category="utils/string")
def string_compare(
    string_a: Text,
    string_b: Text,
    mode: Literal["Starts With", "Ends With", "Equal"],
    case_sensitive: bool = True,
) -> bool:
    """Tell whether the first text begins with the second, ends with it or is the same."""
    first, second = (string_a, string_b) if case_sensitive else (string_a.lower(), string_b.lower())
    if mode == "Equal":
        return first == second
    return first.startswith(second) if mode == "Starts With" else first.endswith(second)


@node("RegexMatch", title="Regex Match", category="utils/string")
def regex_match(
    string: Text, regex_pattern: Text, case_insensitive: bool = True, multiline: bool = False, dotall: bool = False
) -> bool:
    """Tell whether a regular expression, as Python writes them, fits anywhere in a text."""
    return _compiled(regex_pattern, case_insensitive, multiline, dotall).search(string) is not None


@node("RegexExtract", title="Regex Extract", category="utils/string")
def regex_extract(
    string: Text,
    regex_pattern: Text,
    mode: Literal["First Match", "All Matches", "First Group", "All Groups"],
    case_insensitive: bool = True,
    multiline: bool = False,
    dotall: bool = False,
    group_index: Annotated[int, Field(ge=0, le=100)] = 1,
) -> str:
    """Give what a regular expression fits, or one of its groups; of several, each stands on a line of its own.

    Nothing fits, or there is no such group: the text is empty. `All Matches` gives the first group where there are
    several.
    """
    pattern = _compiled(regex_pattern, case_insensitive, multiline, dotall)
    if mode == "All Matches":
        group = min(pattern.groups, 1)
    else:
        group = 0 if mode == "First Match" else group_index
    if group > pattern.groups:
        return ""
    found = [match.group(group) or "" for match in pattern.finditer(string)]
    return "\n".join(found if mode.startswith("All") else found[:1])


@node("RegexReplace", title="Regex Replace", category="utils/string")
def regex_replace(
    string: Text,
    regex_pattern: Text,
    replace: Text,
    case_insensitive: bool = True,
    multiline: bool = False,
    dotall: bool = False,
    count: Annotated[int, Field(ge=0, le=100)] = 0,
) -> str:
    """Replace what a regular expression fits, at most `count` times (0: everywhere); `\\1` is its first group."""
    pattern = _compiled(regex_pattern, case_insensitive, multiline, dotall)
    try:
        return pattern.sub(replace, string, count=count)
    except (re.error, IndexError) as error:
        raise ValueError(f"replace {replace!r}: {error}") from error


def _compiled(pattern: str, case_insensitive: bool, multiline: bool, dotall: bool) -> re.Pattern[str]:
    flags = re.IGNORECASE * case_insensitive | re.MULTILINE * multiline | re.DOTALL * dotall
    try:
        return re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"regex_pattern {pattern!r} is no regular expression: {error}") from error
