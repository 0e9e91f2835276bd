"""The data formats, a module each, found by its name.

A module has

    SUMMARY     for config/README.md: what the file looks like
    KIND        of the stored data: bits, images or tokens
    read        a function of a data set's options and the path of its file (None if generated)
                that returns a `Raw`: packed bits, pixels or sentences, labels, and the source

and, where it applies,

    GENERATED   True: it is made from a seed, without a file
    FILES       how the names of its official files end, which `files` then lists
    FEATURES    the only number of features that there is

A module imports numpy at most: planning a workflow imports them all.
"""
