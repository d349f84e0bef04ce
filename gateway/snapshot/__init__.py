"""What the gateway runs on: compiled whole from resources, immutable, swapped by one assignment.

snapshot    the whole: Snapshot
tables      what a request is looked up in: TenantTable, RouteTable, RuleTable
stable_names  under which live state and metrics keep what outlives a snapshot
settings    the few settings of the whole
keys        a client's key: made, and known by its hash
clients     who is asking, by certificate, key or network
hosts       a table by host name: exact, then the longest suffix, then everything
written     what a compilation is made from
compiling   compiled tenants -> the Snapshot
own_faults  what is wrong with a tenant's resources whatever others have written
exports     which tenants see which providers of others
compiled    the shape of what comes of one tenant
tenants     one tenant's resources -> its table, and every reference that leads nowhere as a Problem
tenant_warnings  what works in its files, and is hardly meant so
destinations  where a provider is
backends    what a rule may choose: a provider, and what this rule gives it
conditions  what a rule asks of a request: match blocks -> something that can be called
stickiness  by what requests stick to a backend
rule_headers  what a rule does to the heads that pass by it
secrets     what must never reach a client, nor a log
captures    what is kept of a tenant's exchanges
prices      a provider's `pricing` -> what policy counts with
retry_policies  a rule's `retries` -> what policy decides by
health_checks  what a provider is asked, whatever clients ask
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
