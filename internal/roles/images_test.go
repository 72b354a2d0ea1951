package roles

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/imagesync"
)

// TestListedArchitectures: the catalog is listed with what each image has, and
// one whose registry is silent keeps nobody waiting for long.
func TestListedArchitectures(t *testing.T) {
	t.Parallel()
	catalog, err := imagesync.ParseCatalog([]byte("only: true\nimages:\n  gone: {reference: example.com/gone}\n  multi: {reference: example.com/multi}\n  silent: {reference: example.com/silent}\n"), "/")
	if err != nil {
		t.Fatal(err)
	}
	resolve := func(ctx context.Context, name string) (api.ResolvedImage, error) {
		switch name {
		case "multi":
			return api.ResolvedImage{Archs: []string{"amd64", "riscv64"}}, nil
		case "silent":
			<-ctx.Done()
			return api.ResolvedImage{}, ctx.Err()
		}
		return api.ResolvedImage{}, errors.New("not found")
	}
	synctest.Test(t, func(t *testing.T) {
		list, err := catalogList(catalog, resolve)(t.Context())
		if err != nil || len(list.Images) != 3 || !list.Only {
			t.Fatalf("%+v, %v", list, err)
		}
		if multi := list.Images[1]; multi.Name != "multi" || !slices.Equal(multi.Archs, []string{"amd64", "riscv64"}) {
			t.Errorf("%+v", multi)
		}
		if list.Images[0].Archs != nil || list.Images[2].Archs != nil {
			t.Errorf("%+v", list.Images)
		}
	})
	if list, err := catalogList(nil, resolve)(t.Context()); err != nil || list.Only || len(list.Images) != 0 {
		t.Errorf("no catalog: %+v, %v", list, err)
	}
}
