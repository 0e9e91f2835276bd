"""What those who read a table of results take for something else than it says."""

# What pandas reads as a missing value, in small letters.
MISSING = {
    *("nan", "-nan", "na", "n/a", "<na>", "null", "none"),
    *("#n/a", "#na", "#n/a n/a", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
}
