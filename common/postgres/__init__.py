"""Django's PostgreSQL backend, which gives up a server that has stopped to answer.

A server that is frozen, or a network that swallows what is sent, ends no connection: each thread
that asks something then waits for ever, and when the last thread of a process does, even
`/health` gets no answer. So who has waited a while makes sure that the server still takes
connections. A statement that merely takes long is waited for as long as it takes.
"""
