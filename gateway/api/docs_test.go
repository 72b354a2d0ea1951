package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

func apiPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// shownIn is the first block of code of a language below a heading of the page.
func shownIn(t *testing.T, heading, language string) string {
	t.Helper()
	_, section, _ := strings.Cut(apiPage(t), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, block, _ := strings.Cut(section, "\n```"+language+"\n")
	block, _, found := strings.Cut(block, "\n```\n")
	if !found {
		t.Fatalf("docs/api.md shows no %q under %q", language, heading)
	}
	return block + "\n"
}

func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// TestPageShowsAJob: what the page shows of a job stands so in the sample that the types are held to.
func TestPageShowsAJob(t *testing.T) {
	t.Parallel()
	sample, err := os.ReadFile("../../schemas/testdata/golden/job.succeeded.json")
	if err != nil {
		t.Fatal(err)
	}
	if shown := decoded(t, shownIn(t, "Running a job", "json")); !partOf(shown, decoded(t, string(sample))) {
		t.Errorf("docs/api.md shows another job than the sample: %v", shown)
	}
}

// partOf reports whether whole is part with fields and elements added.
func partOf(part, whole any) bool {
	switch part := part.(type) {
	case map[string]any:
		all, ok := whole.(map[string]any)
		for key, value := range part {
			ok = ok && partOf(value, all[key])
		}
		return ok
	case []any:
		all, ok := whole.([]any)
		for _, element := range part {
			ok = ok && slices.ContainsFunc(all, func(one any) bool { return partOf(element, one) })
		}
		return ok
	}
	return part == whole
}

// TestPageShowsAProblem: a submission whose input is not there is refused as the page shows it.
func TestPageShowsAProblem(t *testing.T) {
	t.Parallel()
	want := shownIn(t, "Errors", "json")
	var p schemas.ProblemDocument
	if err := json.Unmarshal([]byte(want), &p); err != nil || len(p.Missing) != 1 {
		t.Fatalf("%v: %s", err, want)
	}
	refused := start(t).refused(t, kindInvalid, "POST", "/v1/jobs", `{"image":"gcc","files":{"in.txt":{"sha256":"`+p.Missing[0]+`"}}}`)
	got, err := json.Marshal(refused)
	if err != nil || !reflect.DeepEqual(decoded(t, string(got)), decoded(t, want)) {
		t.Errorf("the gateway answers %s (%v), the page shows %s", got, err, want)
	}
}

// TestPageShowsEvents: a job's stream begins as the page shows it.
func TestPageShowsEvents(t *testing.T) {
	t.Parallel()
	h := start(t)
	r := h.running(t)
	resp := h.request(t, "GET", "/v1/jobs/"+r.ID+"/logs", "", "Accept", "text/event-stream")
	stream := bufio.NewReader(resp.Body)
	want := shownIn(t, "Logs", "")
	var got strings.Builder
	for i, line := range strings.SplitAfter(want, "\n") {
		if line == "" {
			break
		}
		if i == 4 { // it has been told the state, so it is there
			h.jobs.tell(r.ID, coordinator.Update{Attempt: 1, Stage: &schemas.Stage{Name: "running", AtUS: 1790000000099100}})
			h.jobs.tell(r.ID, chunk("stdout", 0, "hello\n"))
		}
		text, err := stream.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %s", err, got.String())
		}
		got.WriteString(text)
	}
	if got.String() != want {
		t.Errorf("the gateway sends\n%s\nthe page shows\n%s", got.String(), want)
	}
}

// TestPageHasTheBounds holds the page's numbers to those that are checked.
func TestPageHasTheBounds(t *testing.T) {
	t.Parallel()
	c := Config{}.withDefaults()
	flat := strings.Join(strings.Fields(apiPage(t)), " ")
	for _, text := range []string{
		fmt.Sprintf("`limit` is 1 to %d, %d by default", maxPage, defaultPage),
		fmt.Sprintf("more than %.0f minutes is %.0f minutes", c.MaxWait.Minutes(), c.MaxWait.Minutes()),
		fmt.Sprintf("comment comes every %.0f seconds", c.Heartbeat.Seconds()),
		fmt.Sprintf("takes nothing for %.0f seconds", c.StallTimeout.Seconds()),
		fmt.Sprintf("at each gateway %d MiB of a tenant's batches", tenantBatchBytes>>20),
		fmt.Sprintf("at once, %d MiB of everybody's", batchBytes>>20),
		fmt.Sprintf("counts as %d MiB, a small one as %d KiB", schemas.MaxBatchBytes>>20, minBatchWeight>>10),
		fmt.Sprintf("single `POST /v1/jobs` of more than %d KiB", smallSubmission>>10),
		fmt.Sprintf("and %d MiB without `Content-Length`", schemas.MaxSpecBytes>>20),
		fmt.Sprintf("no room within %.0f seconds", roomPatience.Seconds()),
		fmt.Sprintf("may have %d uploads under way at each gateway", maxUploads),
		fmt.Sprintf("must have %d KiB a second on average", minRate>>10),
		fmt.Sprintf("%d MiB for a tenant at each gateway and %d MiB for all", tenantAnswerBytes>>20, answerBytes>>20),
		fmt.Sprintf("decompressed count as %d MiB each, a list of outputs as %d KiB", decoderWeight>>20, listWeight>>10),
		fmt.Sprintf("a job as %d times its specification and result if these are more than %d KiB", encodedWeight, smallAnswer>>10),
		fmt.Sprintf("`whsec_` and %d to %d bytes in base 64", schemas.MinSecretBytes, schemas.MaxSecretBytes),
		fmt.Sprintf("`overlap_ms` (%d h by default, at most %d days", schemas.OverlapRange.Default/3_600_000, schemas.OverlapRange.Max/86_400_000),
	} {
		if !strings.Contains(flat, text) {
			t.Errorf("docs/api.md does not say %q", text)
		}
	}
}
