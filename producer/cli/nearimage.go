package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// withNearImage adds to an error about an image's name which name of the
// catalog may have been meant. A name alone goes to a public registry if the
// catalog does not have it, and its answer does not say so.
func (a *app) withNearImage(ctx context.Context, c *producer.Client, image string, err error) error {
	var p *schemas.ProblemDocument
	if !errors.As(err, &p) || !aboutImage(p) || strings.Contains(image, "/") {
		return err
	}
	list, listErr := c.Images(ctx)
	if listErr != nil {
		return err // the first error is what the user has to know
	}
	names := make([]string, 0, len(list.Images))
	for _, i := range list.Images {
		names = append(names, i.Name)
	}
	bare, _, _ := strings.Cut(image, "@")
	bare, _, _ = strings.Cut(bare, ":")
	if near := schemas.Nearest(bare, names); near != "" {
		p.Hint = didYouMean(near, hintWords(p.Hint))
	}
	return err
}

func aboutImage(p *schemas.ProblemDocument) bool {
	switch strings.TrimPrefix(p.Type, schemas.ProblemTypePrefix) {
	case "unknown-image", "image-not-allowed", "registry":
		return true
	}
	return false
}
