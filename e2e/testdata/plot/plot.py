"""Draw three series, one to a row of bars, as a PNG, with the standard library alone."""
import json
import struct
import sys
import zlib

rows = [json.load(open(name)) for name in sys.argv[1:4]]
colours = [(200, 40, 40), (40, 160, 60), (40, 80, 200)]
width, height = max(map(len, rows)) * 8, 3 * 32


def pixel(x, y):
    row, bar = y // 32, x // 8
    series = rows[row]
    lit = bar < len(series) and 31 - y % 32 < series[bar]
    return colours[row] if lit else (255, 255, 255)


raw = b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x, y)) for y in range(height))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


with open("/output/plot.png", "wb") as out:
    out.write(b"\x89PNG\r\n\x1a\n")
    out.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)))
    out.write(chunk(b"IDAT", zlib.compress(raw)))
    out.write(chunk(b"IEND", b""))
print(width, height)
