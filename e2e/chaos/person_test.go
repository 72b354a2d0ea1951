package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/program-explorer/pe/e2e/chaos/check"
	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// person does with dead jobs what people do: has some tried again, drops some, and
// leaves some as they are. Nothing else may bring a job back from its end.
type person struct {
	random  *rand.Rand
	clients *clients
	// tries is how often a job was seen to; settled ones are left as they are.
	tries   map[check.JobName]int
	settled map[check.JobName]bool

	retried, dropped atomic.Int64
	// waiting counts the dead jobs of which is not yet decided whether they are to stay so.
	waiting atomic.Int64
}

func newPerson(seed uint64, c *clients) *person {
	return &person{random: rand.New(rand.NewPCG(seed, 3)), clients: c, tries: map[check.JobName]int{}, settled: map[check.JobName]bool{}}
}

// maxSeenTo is how often a person looks after one job.
const maxSeenTo = 4

// run looks after dead jobs until ctx ends.
func (p *person) run(ctx context.Context) {
	for ctx.Err() == nil {
		waiting := int64(0)
		for _, job := range p.clients.records.dead() {
			if p.settled[job] {
				continue
			}
			waiting++
			p.waiting.Store(max(waiting, p.waiting.Load()))
			p.seeTo(ctx, job)
		}
		p.waiting.Store(waiting)
		sleep(ctx, 200*time.Millisecond)
	}
}

func (p *person) seeTo(ctx context.Context, job check.JobName) {
	p.tries[job]++
	n := p.random.IntN(10)
	switch client := p.clients.at(p.random.IntN(2), job.Tenant); {
	case n < 2 || p.tries[job] > maxSeenTo:
		p.settled[job] = true
	case n < 7:
		if asked := ask(ctx, job, client.RetryDead); asked != nil {
			p.retried.Add(1)
			p.clients.history.add(check.Line{Retried: asked})
		}
	default:
		if asked := ask(ctx, job, client.DropDead); asked != nil {
			p.dropped.Add(1)
			p.clients.history.add(check.Line{Dropped: asked})
		}
	}
}

// ask returns what may have been done by that; nil if nothing was.
func ask(ctx context.Context, job check.JobName, verb func(context.Context, string) (schemas.Job, error)) *check.Asked {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	_, err := verb(ctx, job.Job)
	var problem *schemas.ProblemDocument
	var lost *producer.UnreachableError
	switch {
	case errors.As(err, &problem) && problem.Status < http.StatusInternalServerError:
		return nil
	case errors.As(err, &lost) && lost.Refused():
		return nil
	}
	return &check.Asked{JobName: job, Done: err == nil}
}
