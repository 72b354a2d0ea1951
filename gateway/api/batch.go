package api

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// admittedAtOnce is how many jobs of a batch are made whole at once; what takes
// time there is asking registries.
const admittedAtOnce = 8

// submitBatch takes up to [schemas.MaxBatchJobs] specifications: all or none, or
// each with an answer of its own.
func (a *API) submitBatch(w http.ResponseWriter, r *http.Request, tenant string) error {
	leave, err := a.batches.enter(r.Context(), w.Header(), tenant, batchWeight(r.ContentLength))
	if err != nil {
		return err
	}
	defer leave()
	stretch(w, a.ResolveTimeout+a.StallTimeout)
	posted, problems, err := schemas.DecodeBatch(r.Body)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return invalid(problems)
	}
	a.charge(w, r, len(posted.Jobs)-1) // one was counted already
	jobs, err := a.admitBatch(r.Context(), a.newAdmission(w, r, tenant), posted)
	if err != nil {
		return err
	}
	all := posted.Mode == schemas.BatchAll
	if all && refusedOf(jobs) != nil {
		return refusedOf(jobs)
	}
	if err := a.submitAdmitted(r.Context(), jobs, all); err != nil {
		return err
	}
	if all && refusedOf(jobs) != nil {
		return refusedOf(jobs)
	}
	return writeJSON(w, http.StatusAccepted, a.batchReply(callerOf(r.Context()), jobs))
}

// batchJob is one job of a batch on its way: refused by err, or a record in the end.
type batchJob struct {
	coordinator.Submission
	record schemas.Record
	err    error
}

// admitBatch makes the specifications whole. The error is not of a single job.
func (a *API) admitBatch(ctx context.Context, m *admission, posted schemas.PostedBatch) ([]batchJob, error) {
	jobs, specs, found := make([]batchJob, len(posted.Jobs)), make([]schemas.JobSpec, len(posted.Jobs)), make([][]schemas.Problem, len(posted.Jobs))
	for i, raw := range posted.Jobs {
		specs[i], found[i], jobs[i].err = schemas.DecodeJobSpec(bytes.NewReader(raw))
	}
	if err := m.look(ctx, specs...); err != nil {
		return nil, err
	}
	var group errgroup.Group
	group.SetLimit(admittedAtOnce)
	for i := range jobs {
		if jobs[i].err == nil {
			group.Go(func() error {
				j := &jobs[i]
				if j.Submission, j.err = m.complete(ctx, specs[i], found[i]); j.err != nil {
					j.record, j.err = m.earlier(ctx, j.Submission, j.err)
				}
				return nil
			})
		}
	}
	return jobs, group.Wait()
}

// submitAdmitted submits what was not refused, and takes note of what became of it.
func (a *API) submitAdmitted(ctx context.Context, jobs []batchJob, all bool) error {
	var at []int
	var wanted []coordinator.Submission
	for i, j := range jobs {
		if j.err == nil && j.record.ID == "" {
			at, wanted = append(at, i), append(wanted, j.Submission)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	answers, err := a.Jobs.SubmitBatch(ctx, wanted, all)
	if err != nil {
		return err
	}
	for n, answer := range answers {
		jobs[at[n]].record, jobs[at[n]].err = answer.Record, answer.Err
	}
	return nil
}

// refusedOf is nil if no job was refused. What is nobody's fault stands for itself;
// else all that is wrong is listed.
func refusedOf(jobs []batchJob) error {
	var whole *schemas.ProblemDocument
	for i, j := range jobs {
		if j.err == nil {
			continue
		}
		p := problemOfJob(i, j.err)
		switch {
		case p.Status >= http.StatusInternalServerError:
			return j.err
		case whole == nil:
			whole = p
		case whole.Type == p.Type:
			whole.Problems = append(whole.Problems, p.Problems...)
		default:
			whole = invalid(append(whole.Problems, p.Problems...))
		}
	}
	if whole == nil {
		return nil
	}
	whole.Problems = whole.Problems[:min(len(whole.Problems), schemas.MaxProblems)]
	return whole
}

// problemOfJob says what is wrong with one job of a batch, pointing into the batch.
func problemOfJob(i int, err error) *schemas.ProblemDocument {
	p := *problemOf(err)
	if len(p.Problems) > 0 {
		p.Problems = schemas.InBatch(i, p.Problems)
		return &p
	}
	message := p.Detail
	if message == "" {
		message = p.Title
	}
	p.Problems = []schemas.Problem{{Pointer: "/jobs/" + strconv.Itoa(i), Message: message}}
	return &p
}

func (a *API) batchReply(caller access.Caller, jobs []batchJob) schemas.BatchReply {
	reply := schemas.BatchReply{Jobs: make([]schemas.BatchItem, len(jobs))}
	for i, j := range jobs {
		if j.err != nil {
			if reply.Jobs[i].Problem = problemOfJob(i, j.err); reply.Jobs[i].Problem.Status == http.StatusInternalServerError {
				a.Log.Error("job of a batch not taken", "err", j.err)
			}
			continue
		}
		job := a.answerFor(caller, j.record)
		reply.Jobs[i].Job = &job
	}
	return reply
}
