"""The passwords of logins, and of users of contained databases, of Microsoft SQL Server."""
