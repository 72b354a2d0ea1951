package chaos

import (
	"encoding/json"
	"strings"

	"github.com/program-explorer/pe/e2e/chaos/natstap"
	"github.com/program-explorer/pe/e2e/chaos/s3tap"
)

// expected is NATS's header of a compare-and-set; "0" is the creation of a key.
const expected = "Nats-Expected-Last-Subject-Sequence"

// gatewaySees says what step a message at a gateway's connection belongs to.
func gatewaySees(m natstap.Message) (step string, in []string, job string) {
	both := []string{ofGateway, ofNATS}
	if m.Question != nil && m.Question.FromProgram != m.FromProgram {
		step, _, job = gatewaySees(*m.Question)
		return step, both, job
	}
	words := strings.Split(m.Subject, ".")
	switch {
	case m.FromProgram && strings.HasPrefix(m.Subject, "$KV.jobs.") && len(words) == 4:
		return writeStep(m), both, words[3]
	case m.FromProgram && strings.HasPrefix(m.Subject, "$KV.deliveries."):
		return stepWebhook, both, words[len(words)-1]
	case m.FromProgram && strings.HasPrefix(m.Subject, "jobs.q.") && len(words) == 6:
		return stepFeed, both, words[5]
	case !m.FromProgram && strings.HasPrefix(m.Subject, "ctl."):
		step, job = controlStep(m)
		return step, both, job
	case !m.FromProgram && words[0] == "evt" && len(words) == 5:
		return stepReport, both, words[2]
	}
	return "", nil, ""
}

// writeStep is the step that a record takes by being written.
func writeStep(m natstap.Message) string {
	var rec struct {
		State   string `json:"state"`
		Outcome any    `json:"outcome"`
	}
	if json.Unmarshal(m.Data, &rec) != nil {
		return ""
	}
	switch {
	case m.Header.Get(expected) == "0":
		return stepSubmit
	case rec.State == "running":
		return stepClaim
	case rec.Outcome != nil:
		return stepAccept
	}
	return ""
}

// controlStep is the step in which an executor asks a gateway for something.
func controlStep(m natstap.Message) (step, job string) {
	var ask struct {
		Job  string `json:"job"`
		Get  []any  `json:"get"`
		Held []struct {
			Job string `json:"job"`
		} `json:"held"`
	}
	if json.Unmarshal(m.Data, &ask) != nil {
		return "", ""
	}
	switch verb := strings.Split(m.Subject, ".")[1]; {
	case verb == "claim":
		return stepClaim, ask.Job
	case verb == "sign" && len(ask.Get) > 0:
		return stepStage, ask.Job
	case verb == "sign":
		return stepUpload, ask.Job
	case verb == "report":
		return stepReport, ask.Job
	case verb == "beat" && len(ask.Held) > 0:
		// Its lease is what a gateway has of a job that runs.
		return stepRun, ask.Held[0].Job
	}
	return "", ""
}

// stageSteps are the steps by the stages that an executor tells live.
var stageSteps = map[string]struct {
	step string
	in   []string
}{
	"staged":    {stepStage, []string{ofExecutor, ofMachine, ofGuest}},
	"running":   {stepRun, []string{ofExecutor, ofMachine, ofGuest}},
	"collected": {stepCollect, []string{ofExecutor, ofMachine, ofGuest}},
	"uploaded":  {stepUpload, []string{ofExecutor}},
	"reported":  {stepReport, []string{ofExecutor}},
}

// executorSees says what step a message at an executor's connection belongs to.
func executorSees(m natstap.Message) (step string, in []string, job string) {
	both := []string{ofExecutor, ofNATS}
	words := strings.Split(m.Subject, ".")
	switch {
	case !m.FromProgram && strings.HasPrefix(m.Subject, "jobs.q.") && len(words) == 6:
		return stepPull, both, words[5]
	case m.FromProgram && strings.HasPrefix(m.Subject, "ctl."):
		step, job = controlStep(m)
		return step, both, job
	case !m.FromProgram && m.Question != nil && strings.HasPrefix(m.Question.Subject, "ctl."):
		step, job = controlStep(*m.Question)
		return step, both, job
	case m.FromProgram && words[0] == "evt" && len(words) == 5:
		return stepReport, both, words[2]
	case m.FromProgram && words[0] == "live" && len(words) == 5 && words[4] == "stage":
		var stage struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(m.Data, &stage) != nil {
			return "", nil, ""
		}
		s := stageSteps[stage.Name]
		return s.step, s.in, words[2]
	}
	return "", nil, ""
}

// storeSees says what step a request to S3 belongs to.
func storeSees(r s3tap.Request) (step, job string) {
	words := strings.Split(r.Key, "/")
	switch {
	case len(words) == 3 && words[1] == "in" && r.Method == "PUT":
		return stepSubmit, words[2] // of a job to be
	case len(words) == 3 && words[1] == "in" && r.Signed:
		return stepStage, words[2]
	case len(words) == 4 && words[1] == "jobs" && r.Method == "PUT":
		return stepSubmit, words[2] // its specification
	case len(words) == 5 && words[1] == "jobs" && r.Signed && r.Method == "PUT":
		return stepUpload, words[2]
	case len(words) == 5 && words[1] == "jobs" && r.Method == "HEAD":
		return stepAccept, words[2]
	}
	return "", ""
}
