// Package fence holds the table of imports that the project's folders and
// binaries must not have, and a test that holds them to it. It is no part of a
// job's life, and nothing imports it.
//
// The fences keep trust and dependencies apart: the client stays small, the
// guest tiny, and what starts machines knows nothing of queues.
package fence

import "strings"

// module is this project's import path.
const module = "github.com/program-explorer/pe"

// A Fence forbids imports.
type Fence struct {
	// Who are the packages behind the fence: an import path, or a path and
	// "/..." for all that lies below it too. "pe/" stands for this module.
	Who string
	// Except are packages that Who would name and that are not meant.
	Except []string
	// Never are the patterns, as for Who, that they must not depend on,
	// themselves or through others.
	Never []string
	// Direct looks at their own imports alone, not at those of others.
	Direct bool
	// Tests covers what their tests import, too.
	Tests bool
	// Why goes into the failure.
	Why string
}

// everything is the whole module.
const everything = "pe/..."

const (
	nats       = "github.com/nats-io/nats.go/..."
	nkeys      = "github.com/nats-io/nkeys/..."
	natsServer = "github.com/nats-io/nats-server/v2/..."
	minio      = "github.com/minio/minio-go/v7/..."
	cobra      = "github.com/spf13/cobra/..."
)

// testSupport are packages that only tests import.
var testSupport = []string{
	"pe/internal/jobqueue/queuetest", "pe/internal/objstore/objstoretest", "pe/internal/objstore/s3test",
	"pe/imagesync/imagetest", "pe/guestrd/guesttest", "pe/executor/guestsuite", "pe/internal/hosttest", "pe/internal/helptest",
}

// Fences is the table of design.md's section on folders, and what follows from it.
var Fences = []Fence{
	{Who: "pe/schemas", Never: []string{"pe/...", "!std"}, Why: "wire types are the one thing that all sides share: standard library only"},
	{Who: "pe/schemas/guestproto/...", Never: []string{nats, natsServer, minio, "net/http", "net"}, Why: "the guest speaks over a pipe alone"},
	{Who: "pe/producer/...", Never: []string{"pe/gateway/...", "pe/executor/...", "pe/guestrd/...", natsServer, nats, minio}, Why: "the client knows the HTTP API and nothing behind it"},
	{Who: "pe/gateway/...", Never: []string{"pe/executor/...", "pe/guestrd/...", natsServer, "pe/imagesync/flatten/...", "pe/imagesync/erofsfile/..."}, Why: "the gateway plans jobs and never touches what runs them"},
	{Who: "pe/gateway/webhook/...", Never: []string{"pe/gateway/...", "pe/internal/objstore/...", "pe/imagesync/..."}, Why: "what tells of ends knows records, and neither how jobs run nor who asks for them"},
	{Who: "pe/gateway/campaign/...", Never: []string{"pe/gateway/...", "pe/internal/objstore/...", "pe/imagesync/..."}, Why: "a campaign counts jobs, and knows neither how they run nor who is told"},
	{Who: "pe/gateway/feeder/...", Never: []string{"pe/gateway/...", "pe/internal/objstore/...", "pe/imagesync/..."}, Why: "the feeder decides whose turn it is, and knows neither what claims a job nor what becomes of it"},
	{Who: "pe/gateway/fleet/...", Never: []string{"pe/gateway/...", "pe/internal/...", "pe/imagesync/..."}, Why: "the fleet is what executors say of themselves, and nothing of jobs"},
	{Who: "pe/gateway/history/...", Never: []string{"pe/gateway/...", "pe/internal/objstore/...", "pe/imagesync/..."}, Why: "history holds records, and knows neither how jobs end nor who asks for them"},
	{Who: "pe/gateway/resultcache/...", Never: []string{"pe/gateway/...", "pe/internal/objstore/...", "pe/imagesync/..."}, Why: "a hint at a result knows neither the job that wants it nor the store that has it"},
	{Who: "pe/gateway/coordinator/...", Never: []string{"pe/gateway", "pe/gateway/api/...", "pe/gateway/access/...", "pe/gateway/webhook/...", "pe/gateway/campaign/...", "pe/gateway/retention/..."}, Direct: true, Why: "the coordinator owns jobs, and knows neither who asks for them nor who is told"},
	{Who: "pe/gateway/retention/...", Never: []string{"pe/gateway", "pe/gateway/api/...", "pe/gateway/access/...", "pe/gateway/webhook/...", "pe/gateway/campaign/..."}, Direct: true, Why: "what expires does so whoever asks"},
	{Who: "pe/gateway/api/...", Never: []string{"pe/internal/jobqueue/...", "pe/gateway/feeder/...", "pe/gateway/fleet/..."}, Direct: true, Why: "the API asks the coordinator, never the queue"},
	{Who: "pe/gateway/...", Except: []string{"pe/gateway", "pe/gateway/api/...", "pe/gateway/access/...", "pe/gateway/webhook/..."}, Never: []string{"net/http/..."}, Direct: true, Why: "HTTP stays at the gateway's edges"},
	{Who: "pe/gateway/access/...", Never: []string{"pe/gateway/...", "pe/internal/objstore/...", "pe/imagesync/..."}, Why: "who may do what is decided without a word of what is done"},
	{Who: "pe/gateway/jobresult/...", Never: []string{"pe/gateway/...", "pe/internal/jobqueue/...", "pe/imagesync/..."}, Why: "what a job left is read the same by all who ask"},
	{Who: "pe/executor/...", Never: []string{"pe/gateway/...", "pe/producer/...", "pe/guestrd/...", "pe/internal/objstore/s3", natsServer, minio}, Why: "an executor holds no store credentials and starts no webhooks"},
	{Who: "pe/executor/qemu/...", Never: []string{"pe/internal/objstore/...", "pe/internal/jobqueue/...", "pe/gateway/...", "pe/imagesync/...", "pe/schemas", nats, minio}, Why: "what starts QEMU knows machines, not jobs"},
	{Who: "pe/executor/pool/...", Never: []string{"pe/...", nats, minio}, Why: "machines wait without a word of what they are"},
	{Who: "pe/executor/ocirun/...", Never: []string{"pe/internal/objstore/...", "pe/internal/jobqueue/...", "pe/gateway/...", "pe/imagesync/...", nats, minio}, Why: "what starts containers knows no queue and no store"},
	{Who: "pe/executor/oci/...", Never: []string{"pe/internal/objstore/...", "pe/internal/jobqueue/...", "pe/executor/qemu/...", "pe/executor/vm/...", nats, minio}, Direct: true, Why: "what runs jobs in containers knows no queue, no store and no virtual machines"},
	{Who: "pe/guestrd/...", Except: []string{"pe/guestrd/build/..."}, Never: []string{nats, natsServer, minio, "net/http", "crypto/tls", cobra, "github.com/spf13/pflag", "pe/gateway/...", "pe/executor/...", "pe/producer/..."}, Why: "PID 1 of a guest is small and has no network"},
	{Who: "pe/imagesync/...", Never: []string{"pe/internal/jobqueue/...", "pe/executor/...", "pe/gateway/...", nats, natsServer}, Why: "images are made without knowing who runs them"},
	{Who: "pe/internal/archive/...", Never: []string{"pe/schemas/...", "pe/internal/objstore/...", nats, minio}, Why: "the archive format is used on both sides of the guest's pipe"},
	{Who: "pe/internal/objstore/...", Never: []string{"pe/schemas/...", "pe/internal/jobqueue/...", nats, natsServer}, Why: "a store keeps bytes and knows nothing of jobs"},
	{Who: "pe/internal/jobqueue/...", Except: testSupport, Never: []string{natsServer, minio, "pe/internal/objstore/...", "pe/gateway/...", "pe/executor/..."}, Why: "a client of the queue works with a server anywhere"},
	{Who: "pe/internal/settings/...", Never: []string{"pe/..."}, Why: "configuration is read by one package that knows what none of it means"},
	{Who: "pe/internal/terminal/...", Never: []string{"pe/...", "!std"}, Why: "the client has it, too"},
	{Who: "pe/internal/hosttest/...", Never: []string{"pe/..."}, Tests: true, Why: "what tests need of a host has nothing to do with jobs"},
	{Who: "pe/internal/turns/...", Never: []string{"pe/..."}, Why: "whose turn it is has nothing to do with what is done in it"},
	{Who: "pe/internal/vmbench/...", Never: []string{"pe/internal/objstore/...", "pe/internal/jobqueue/...", "pe/gateway/...", "pe/producer/...", "pe/imagesync/...", cobra}, Why: "machines are measured without jobs and images around them"},
	{Who: "pe/bench/...", Never: []string{"pe/gateway/...", "pe/executor/...", "pe/guestrd/...", "pe/internal/..."}, Why: "what is measured is what users run: the built programs"},
	{Who: "pe/e2e/...", Never: []string{"pe/gateway/...", "pe/guestrd/...", "pe/executor/..."}, Direct: true, Tests: true, Why: "end to end means from the outside"},

	{Who: everything, Except: []string{"pe/internal/jobqueue/...", "pe/internal/onebox/..."}, Never: []string{nats, nkeys}, Direct: true, Why: "jobqueue is the only user of nats.go"},
	{Who: everything, Except: []string{"pe/internal/onebox/...", "pe/internal/jobqueue/queuetest"}, Never: []string{natsServer}, Direct: true, Why: "only the embedded system brings a NATS server along"},
	{Who: everything, Except: []string{"pe/internal/objstore/s3/..."}, Never: []string{minio}, Direct: true, Why: "objstore/s3 is the only user of minio-go"},
	{Who: everything, Except: []string{"pe/cmd/ped", "pe/e2e/...", "pe/internal/onebox/..."}, Never: []string{"pe/internal/onebox/..."}, Direct: true, Why: "only ped up and the end-to-end tests start everything in one process"},

	{Who: everything, Except: testSupport, Never: testSupport, Direct: true, Why: "what is for tests stays out of the programs"},

	{Who: "pe/cmd/pe", Never: []string{nats, natsServer, minio, "pe/executor/...", "pe/gateway/...", "pe/guestrd/...", "pe/imagesync/...", "pe/internal/objstore/...", "pe/internal/jobqueue/...", "pe/internal/onebox/..."}, Why: "the client is small"},
	{Who: "pe/cmd/guestrd", Never: []string{nats, natsServer, minio, "net/http", "crypto/tls", cobra, "github.com/spf13/pflag", "pe/guestrd/build/...", "pe/executor/...", "pe/gateway/..."}, Why: "the guest's init is tiny: it is unpacked at every boot"},
}

// matches reports whether pattern names the import path.
func matches(pattern, path string) bool {
	if rest, ours := strings.CutPrefix(pattern, "pe/"); ours {
		pattern = module + "/" + rest
	}
	if pattern == "!std" {
		return !isStandard(path)
	}
	base, below := strings.CutSuffix(pattern, "/...")
	return path == base || below && strings.HasPrefix(path, base+"/")
}

// isStandard reports whether the path is of the standard library: the first
// element of any other has a dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func matchesAny(patterns []string, path string) bool {
	for _, p := range patterns {
		if matches(p, path) {
			return true
		}
	}
	return false
}
