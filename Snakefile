include: "workflow/Snakefile"


# An include resets the default target.
workflow.default_target = "all"
