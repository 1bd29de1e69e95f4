"""PostgreSQL 14 and later: the tables, their migrations, and the core's target and state store on them."""
