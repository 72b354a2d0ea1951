package history

import (
	"errors"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestAdvance: of two gateways that move a tenant's horizon at once one is refused, and
// who hears of an older one does not go back to it.
func TestAdvance(t *testing.T) {
	t.Parallel()
	b := bucket(t)
	one, two := newHistory(t, b), newHistory(t, b)
	watch(t, one)
	id := idOf(epoch/1000, 1)
	if err := one.Advance(t.Context(), tenant, schemas.Horizon{CreatedUS: epoch + 20}, 0); err != nil {
		t.Fatal(err)
	}
	if err := two.Advance(t.Context(), tenant, schemas.Horizon{CreatedUS: epoch + 10, Spared: []string{id}}, 0); !errors.Is(err, ErrBehind) {
		t.Errorf("the other one's: %v", err)
	}
	catchUp(t, one)
	first, revision := one.Horizon(tenant)
	if !one.Over(tenant, id, epoch+19) || one.Over(tenant, id, epoch+20) || one.Over("bob", id, epoch) {
		t.Errorf("with %+v", first)
	}
	if err := one.Advance(t.Context(), tenant, schemas.Horizon{CreatedUS: epoch + 30, Spared: []string{id}}, revision); err != nil {
		t.Fatal(err)
	}
	one.takeHorizon(tenant, horizon{first, revision}) // late
	if one.Over(tenant, id, epoch+19) {
		t.Error("a job that is spared is over")
	}
}
