"""Reading data: what a task names as its data becomes samples and labels, never on a guess."""
