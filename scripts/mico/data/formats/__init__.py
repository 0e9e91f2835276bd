"""The data formats, a module each, found by its name.

A module has

    SUMMARY     for config/README.md: what the file looks like
    KINDS       of the stored data: those of bits, numbers, images and tokens that there may be
    read        a function of a data set's options and the path of its file (None if generated)
                that returns a `Raw`: packed bits, numbers, pixels or sentences, labels, the source

and, where it applies,

    GENERATED   True: it is made from a seed, without a file
    FILES       how the names of its official files end, which `files` then lists
    FOLDER      True: its path may be a folder, as with several official files
    FEATURES    the only number of features that there is
    OPTIONS     which of the keys `mico.data.options.OF_SOME` it takes

A module imports numpy at most: planning a workflow imports them all.
"""
