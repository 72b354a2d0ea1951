#!/bin/sh
# run.sh: the demonstration behind `make demo`. Starts the whole system in one
# process, on a free port and in a temporary folder, runs a real job in a
# virtual machine, shows what came of it, and leaves nothing running.
# Needs bin/pe and bin/ped, and what deploy/setup.sh --for demo prepares.
set -eu

repo=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cache=${PE_CACHE:-$repo/.cache}
pe=$repo/bin/pe
work=$(mktemp -d)
ped_pid=

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }

# stop ends what was started here, by its process id, and waits for it.
stop() {
	if [ -n "$ped_pid" ]; then
		kill -TERM "$ped_pid" 2>/dev/null || true
		wait "$ped_pid" 2>/dev/null || true
		ped_pid=
	fi
	rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	printf '\ndemo: %s\n' "$*" >&2
	sed 's/^/  ped: /' "$work/ped.log" >&2 2>/dev/null || true
	exit 1
}

# await_ready waits for the address that ped writes when it takes jobs.
await_ready() {
	left=600 # tenths of a second
	while [ ! -s "$work/address" ]; do
		kill -0 "$ped_pid" 2>/dev/null || fail "ped up ended; its messages:"
		left=$((left - 1))
		[ "$left" -gt 0 ] || fail "ped up was not ready after a minute; its messages:"
		sleep 0.1
	done
}

# await_executor waits until it has registered with the gateway.
await_executor() {
	left=100
	until "$pe" executors --json | grep -q '"executor"'; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || fail "no executor registered within 10 seconds; messages of ped:"
		sleep 0.1
	done
}

say "1. Start everything in one process: queue, object store, gateway, executor."
# In a session of its own, so that Ctrl-C reaches pe, which cancels its job, and then us.
setsid "$repo/bin/ped" up --listen 127.0.0.1:0 --data-dir "$work/data" --ready-file "$work/address" \
	--guest-dir "$cache/guest" --catalog "$cache/catalog.yaml" >"$work/ped.log" 2>&1 &
ped_pid=$!
await_ready
PE_SERVER=$(cat "$work/address")
export PE_SERVER
await_executor
echo "It serves at $PE_SERVER. This is the machine that jobs run on:"
"$pe" executors

say "2. Compile and run a C program, in a virtual machine of its own."
cd "$repo/deploy/demo"
cat <<'EOT'
$ pe run --image gcc -f main.c -- sh -c 'gcc -O2 main.c -o /output/a.out && /output/a.out'
EOT
"$pe" run --image gcc -f main.c --stdin none -o "$work/output" -- \
	sh -c 'gcc -O2 main.c -o /output/a.out && /output/a.out' || fail "the job did not succeed (exit code $?); messages of ped:"

say "3. What it left in /output is here now."
ls -l "$work/output"

say "4. Where the time went. The first job of an image also unpacks the image."
job=$("$pe" jobs --json | sed -n 's/.*"id": *"\(j[a-z0-9]\{25\}\)".*/\1/p' | head -n 1)
"$pe" status "$job"

say "5. Once more: the image is there now."
"$pe" run --image gcc -f main.c --stdin none --no-output -- \
	sh -c 'gcc -O2 main.c -o /output/a.out && /output/a.out' || fail "the second job did not succeed; messages of ped:"

say "6. Stop. Nothing stays behind."
stop
echo "Done. Next: make up, and docs/getting-started.md."
