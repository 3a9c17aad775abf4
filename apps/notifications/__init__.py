"""Handler process: notifications to many recipients, delivered once each over line, email, sms, push or a webhook."""
