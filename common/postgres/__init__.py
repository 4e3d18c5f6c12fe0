"""Django's PostgreSQL backend, which gives up on a server that does not respond.

A frozen server, or a network that drops packets, closes no connection: each thread that runs a
query would wait for ever, and once all threads of a process wait, even `/health` gets no answer.
So a thread that has waited a while checks whether the server still accepts connections. A query
that only takes long is not interrupted.
"""
