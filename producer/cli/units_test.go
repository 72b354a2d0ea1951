package cli

import (
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"512M": 512 << 20, "1.5G": 3 << 29, "1GiB": 1 << 30, "64k": 64 << 10, "64KB": 64 << 10, "1048576": 1 << 20, "7B": 7, "2T": 2 << 40,
		"": 0, "M": 0, "-1M": 0, "0": 0, "1.0001k": 0, "1X": 0, "NaN": 0, "1e3": 1000, "9e99": 0, "Inf": 0, "1MM": 0, "1bi": 0,
	} {
		var b bytesFlag
		if err := b.Set(in); int64(b) != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", in, b, err, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 64 << 20: "64 MiB", 100 << 30: "100 GiB", 5 << 50: "5120 TiB"} {
		if got := formatBytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"90s": 90_000, "5m": 300_000, "1h30m": 5_400_000, "10": 10_000, "0.5": 500, "250ms": 250, "": 0, "0": 0, "-1s": 0, "1us": 0, "x": 0} {
		var d durationFlag
		if err := d.Set(in); d.milliseconds() != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %s, %v; want %d ms", in, &d, err, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0ms", 999 * time.Millisecond: "999ms", 1500 * time.Millisecond: "1.5s", time.Second: "1s", 59 * time.Second: "59s", time.Minute: "1m",
		190 * time.Second: "3m10s", 10 * time.Minute: "10m", 2 * time.Hour: "2h", 125 * time.Minute: "2h5m", 72 * time.Hour: "3d", 20 * time.Second: "20s",
	} {
		if got := formatSpan(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	for pointer, want := range map[string]string{
		"": "the specification", "/limits/wall_ms": "limits.wall_ms", "/args/3": "args.3", "/files/a~1b.c/mode": `files["a/b.c"].mode`, "/env/": `env[""]`, "/x~0\n": `["x~\n"]`,
	} {
		if got := placeWords(pointer); got != want {
			t.Errorf("%q: %s, want %s", pointer, got, want)
		}
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"docker.io/library/gcc:14": "gcc:14", "index.docker.io/library/gcc@sha256:00": "gcc", "docker.io/me/x:1": "me/x:1",
		"localhost:5000/a/b:1": "localhost:5000/a/b:1", "oci:/srv/images/gcc": "oci:gcc", "ghcr.io/a/b": "ghcr.io/a/b", "a\x1b[31m": `"a\x1b[31m"`,
	} {
		if got := shortImage(ref); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}

func TestHints(t *testing.T) {
	t.Parallel()
	for hint, want := range map[string]string{
		"GET /v1/images lists the images": "pe images lists the images", "GET /v1/jobs/j1?wait=30s waits for its end": "pe wait j1 waits for its end",
		"GET /v1/jobs/j1/outputs with Accept: application/json lists them": "pe outputs j1 lists them",
		"GET /other does": "GET /other does", "set PE_TOKEN": "set PE_TOKEN", "GET": "GET", "": "",
	} {
		if got := hintWords(hint); got != want {
			t.Errorf("%q: %q, want %q", hint, got, want)
		}
	}
}
