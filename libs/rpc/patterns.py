"""The patterns that text fields must match, and what they mean, for people."""

ONE_LINE = r"^[^\p{Cc}\p{Zl}\p{Zp}]*[^\p{Cc}\p{Cf}\p{Z}][^\p{Cc}\p{Zl}\p{Zp}]*$"
LINES = r"^[\P{Cc}\t\n\r]*[^\p{Cc}\p{Cf}\p{Z}][\P{Cc}\t\n\r]*$"

# A pattern that is missing here is quoted as it is.
PATTERNS = {
    ONE_LINE: "must not be blank and must not contain control characters or line breaks",
    LINES: "must not be blank and must not contain control characters other than tabs and line breaks",
    r"^[\P{Cc}\t\n\r]*$": "must not contain control characters other than tabs and line breaks",
    r"^[^\p{Cc}\p{Zl}\p{Zp}]*$": "must not contain control characters or line breaks",
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$": "must be 1 to 32 letters, digits, '-' or '_', starting with a letter or digit",
    r"^[a-z][a-z0-9_]{0,49}$": "must be 1 to 50 lower-case letters, digits or '_', starting with a letter",
    r"^[a-z][a-z0-9_]{0,19}$": "must be 1 to 20 lower-case letters, digits or '_', starting with a letter",
    r"^[a-z][a-z_]*\.[a-z][a-z_]*$": "must be a counter's name, such as 'petition.co_signers'",
    r"^[a-z_]*$": "must be lower-case letters and '_'",
    r"^[0-9]+$": "must be decimal digits",
    r"^[+-]?[0-9]{1,3}(\.[0-9]{1,2})?$": "must be a decimal of at most three digits before the point and two after it",
    r"^[0-9a-f]{1,16}$": "must be a commit token: 1 to 16 hexadecimal digits in lower case",
}
