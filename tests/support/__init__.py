"""What the tests share: virtual time, leak checks, Qt's messages, a screen of their own."""
