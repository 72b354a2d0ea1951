package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/schemas"
)

func (a *app) imagesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "images", Short: imagesShort, Example: imagesExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Images(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.print(list)
			}
			return a.imageTable(list.Images)
		},
	}
}

// imageTable has a column of architectures only if the gateway knows of any.
func (a *app) imageTable(images []schemas.CatalogImage) error {
	known := slices.ContainsFunc(images, func(i schemas.CatalogImage) bool { return len(i.Archs) > 0 })
	t := a.table("NAME", "REFERENCE", "DESCRIPTION")
	if known {
		t = a.table("NAME", "ARCHS", "REFERENCE", "DESCRIPTION")
	}
	for _, i := range images {
		cells := []string{printable(i.Name), printable(strings.Join(i.Archs, ",")), printable(i.Reference), printable(i.Description)}
		if !known {
			cells = slices.Delete(cells, 1, 2)
		}
		t.add(cells...)
	}
	return t.write()
}
