"""Other doors out: clock, payments, mail, queues, http, files; each with its AWS and its embedded form."""
