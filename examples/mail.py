"""Sends a mail: mail.py TO SUBJECT, from MAIL_FROM, by MAIL_SERVER (host:port). Exit code 65: the address is wrong.

An attempt that is killed after the mail has gone out is followed by another one, and so by a second mail: both have the
same Message-ID, by which mail programs know that they are one.
"""

from __future__ import annotations

import os
import smtplib
import sys
from email.message import EmailMessage

WRONG_ADDRESS = 65  # EX_DATAERR of sysexits.h


def send(to: str, subject: str) -> None:
    mail = EmailMessage()
    mail["From"] = sender = os.environ["MAIL_FROM"]
    mail["To"] = to
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{os.environ['JOBCTL_IDEMPOTENCY_KEY']}@{sender.partition('@')[2]}>"
    mail.set_content(f"{subject}\n")
    host, _, port = os.environ["MAIL_SERVER"].rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=30) as server:
        server.send_message(mail)
    print(f"sent to {to}: {subject}")


if __name__ == "__main__":
    try:
        send(*sys.argv[1:])
    except smtplib.SMTPRecipientsRefused as error:
        print(f"mail: refused: {error.recipients}")
        # 5xx: it stays so; 4xx: not now.
        sys.exit(WRONG_ADDRESS if all(code >= 500 for code, _ in error.recipients.values()) else 1)
    except ValueError as error:  # nothing that could be an address
        print(f"mail: {error}")
        sys.exit(WRONG_ADDRESS)
    except OSError as error:  # the network's errors, and what the mail server says
        sys.exit(f"mail: {error}")
