"""What is backed up besides databases: functions, configuration, and what is known of secrets; read here, and put back here."""
