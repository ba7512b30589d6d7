"""python3 smtplib_peer.py PORT MESSAGES CONNECTIONS: Python's smtplib, a thread for each connection."""
import sys, threading, smtplib
from email.message import EmailMessage

port, messages, connections = map(int, sys.argv[1:])
SENTENCE = "The sun sets before five now, and the night tariff makes electricity a third cheaper until the end of March. \n"
failures = []


def send(first):
    try:
        with smtplib.SMTP("127.0.0.1", port) as server:
            for n in range(first, messages, connections):
                message = EmailMessage()
                message["From"] = "Acme Energy <news@acme.example>"
                message["To"] = f"p{n}@example.org"
                message["Subject"] = "Person, news for you"
                message.set_content(f"Dear Person,\n\nyou owe us €{n}.50 and have been with us since 2015.\n\n" + SENTENCE * 44)
                server.send_message(message)
    except Exception as error:
        failures.append(error)


threads = [threading.Thread(target=send, args=(first,)) for first in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if failures:
    sys.exit(str(failures[0]))
