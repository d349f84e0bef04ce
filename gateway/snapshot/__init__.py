"""What the gateway runs on: compiled whole from resources, immutable, swapped by one assignment.

tables      the shapes: Snapshot, TenantTable, RouteTable, RuleTable, Backend
hosts       a table by host name: exact, then the longest suffix, then everything
compiling   resources -> tables, or every unresolved reference as a Problem
adopting    which tenants take their new resources, and which keep their last good ones
matching    request -> tenant -> route -> rule
describing  tables -> JSON for people, without secrets
current     the one reference
"""
