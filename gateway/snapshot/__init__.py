"""What the gateway runs on: compiled whole from resources, immutable, swapped by one assignment.

tables      the shapes: Snapshot, TenantTable, RouteTable, RuleTable, Backend
hosts       a table by host name: exact, then the longest suffix, then everything
written     what a compilation is made from
compiling   the resources of all tenants -> a Snapshot
tenants     one tenant's resources -> its table, or every unresolved reference as a Problem
backends    a provider and what one rule gives it -> a Backend
conditions  match blocks -> something that can be called
clashes     tenants that claim one host
adopting    which tenants take their new resources, and which keep their last good ones
matching    request -> tenant -> route -> rule
describing  tables -> JSON for people, without secrets
current     the one reference
"""
