"""What a program reads at once when it starts."""
import time
clock = time.time_ns()
import os
import random
import uuid


def text(path):
    with open(path) as f:
        return f.read().strip()


with open("/dev/urandom", "rb") as f:
    device = f.read(16).hex()
said = {
    "clock": clock,
    "getrandom": os.getrandom(16).hex(),
    "urandom": device,
    "random": random.random(),
    "uuid4": uuid.uuid4(),
    "hash": hash("the interpreter's own key"),
    "uuid": text("/proc/sys/kernel/random/uuid"),
    "machine": text("/etc/machine-id"),
    "host": os.uname().nodename,
}
line = "python " + " ".join(f"{k}={v}" for k, v in said.items()) + "\n"
os.write(1, line.encode())
