package natsconf

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/program-explorer/pe/internal/jobqueue"
)

// maxPayload is the server's own default. The largest message is a page of history,
// of half a MiB.
const maxPayload = "1MB"

func (c Config) server() string {
	return fmt.Sprintf(`# A NATS server for Program Explorer, as "ped nats config" prints it. It holds no
# secret: users prove themselves with nkeys, and these are the public halves.
# Needs nats-server 2.12 or later. "nats-server -t -c FILE" checks the file, and
# "nats-server --signal reload" takes a changed list of users at once.

server_name: %s
listen: %s

max_payload: %s
max_connections: 1024
# A client that does not read for so long is cut off.
write_deadline: "10s"

`, strconv.Quote(c.Name), strconv.Quote(c.Listen), maxPayload)
}

func (c Config) tls() string {
	cert, key, mark := c.TLSCert, c.TLSKey, ""
	text := "# Seeds never travel; what is said does, so it is encrypted.\n"
	if cert == "" {
		cert, key, mark = "/etc/nats/tls/fullchain.pem", "/etc/nats/tls/privkey.pem", "# "
		text = `# Without TLS whoever is on the way reads what is said: which jobs there are, their
# small results, and signed addresses of inputs and outputs. Seeds never travel.
# Take it out of the comment before anybody connects over a network that is not
# yours alone; URLs then begin with tls://.
`
	}
	return text + fmt.Sprintf(`%[1]stls {
%[1]s  cert_file: %[2]s
%[1]s  key_file: %[3]s
%[1]s}

`, mark, strconv.Quote(cert), strconv.Quote(key))
}

func jetStream(dir string) string {
	return fmt.Sprintf(`jetstream {
  store_dir: %s
  # A write is on the disk before it is acknowledged. The default, every two
  # minutes, loses acknowledged jobs in a power cut.
  sync_interval: always
  # Bounds the disk that is used; the default is three quarters of what is free.
  # max_file_store: 100GB
}

# One of three servers that keep three copies: each has a server_name of its own,
# the same users, and this block. Gateways are told with --nats-replicas 3.
# cluster {
#   name: program-explorer
#   listen: "0.0.0.0:6222"
#   routes: ["nats://queue1:6222", "nats://queue2:6222", "nats://queue3:6222"]
# }

`, strconv.Quote(dir))
}

// account holds all subjects of the project, apart from whatever else the server serves.
const account = "PE"

// accounts lets gateways ask the server, in the system's account, whether it syncs
// every write: who else is in theirs has no permission to.
func accounts(users string) string {
	question := strconv.Quote(jobqueue.AskServer)
	return fmt.Sprintf(`accounts {
  %[1]s {
    jetstream: enabled
    # Gateways ask whether sync_interval is what it must be.
    imports: [ { service: { account: SYS, subject: %[2]s } } ]
    users: [
%[3]s    ]
  }
  SYS {
    exports: [ { service: %[2]s, accounts: [%[1]s] } ]
  }
}
system_account: SYS
`, account, question, users)
}

// userIndent is where the users of [accounts] stand.
const userIndent = "      "

func block(name, key string, p jobqueue.Permissions, indent string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, indent+format+"\n", args...) }
	subjects := func(verb string, list []string) {
		line("    %s: { allow: [", verb)
		for _, s := range list {
			line("      %s", strconv.Quote(s))
		}
		line("    ] }")
	}
	line("# %s", name)
	line("{ nkey: %s", key)
	line("  permissions: {")
	subjects("publish", p.Publish)
	subjects("subscribe", p.Subscribe)
	if p.Responses {
		line(`    allow_responses: { max: 1, expires: "1m" }`)
	}
	line("  } }")
	return b.String()
}
