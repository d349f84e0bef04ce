"""What the gateway runs on: compiled whole from resources, immutable, swapped by one assignment.

tables      the shapes: Snapshot, TenantTable, RouteTable, RuleTable, Backend
keys        a client's key: made, and known by its hash
clients     who is asking, by certificate, key or network
hosts       a table by host name: exact, then the longest suffix, then everything
written     what a compilation is made from
compiling   compiled tenants -> the Snapshot
own_faults  what is wrong with a tenant's resources whatever others have written
exports     which tenants see which providers of others
compiled    the shape of what comes of one tenant
tenants     one tenant's resources -> its table, and every reference that leads nowhere as a Problem
destinations  where a provider is
backends    a provider and what one rule gives it -> a Backend
conditions  match blocks -> something that can be called
rule_headers  what a rule does to the heads that pass by it
retry_policies  a rule's `retries` -> what policy decides by
health_checks  a provider's `healthCheck` -> the request that it is asked
context     what all tenants of one generation are compiled in
lost_references  why a reference leads nowhere, in words
claims      what at most one tenant may hold, and who does
still_written  what the newest files take away from tenants that run on what was last good
doubts      files that may not say everything
withheld    hosts that nobody answers for, because the files that name them are not used
generations  the shapes of what comes of it all: Generation, TenantState
adopting    which tenants take their new resources, and which keep their last good ones
matching    request -> tenant -> route -> rule
differing   two generations -> what is different, in words
describing  tables -> JSON for people, without secrets
current     the one reference
"""
