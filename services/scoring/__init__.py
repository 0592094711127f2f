"""How risky an overdue account is, in points that can be explained, and what treatment that suggests."""
