"""What an operator may ask: one function per verb, one file per topic, all of them in `verbs.VERBS`.

A command is an OPERATOR record {"verb", "arguments", "who", "why"}; what it does follows from the record and the state alone.
"""
