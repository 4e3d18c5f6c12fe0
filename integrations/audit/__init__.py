"""The audit log: events with a hash chain for each company, for the company's admins.

One job adds each settled event to the chain of its company (`chain`), so writers never wait. Each
link has the hash of the one before, so a change shows. Once a day the heads of all chains are
signed and written to a file (`heads`): a chain that was cut off or computed again does not match.
"""
