"""Which features of which column a policy leans on."""
