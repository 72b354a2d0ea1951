package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

//go:embed openapi.json
var openAPIPaths []byte

// openAPIDocument adds the version and the JSON Schemas of package schemas to the document.
func openAPIDocument(version string) ([]byte, error) {
	var doc struct {
		OpenAPI    json.RawMessage `json:"openapi"`
		Dialect    json.RawMessage `json:"jsonSchemaDialect"`
		Info       map[string]any  `json:"info"`
		Servers    json.RawMessage `json:"servers"`
		Security   json.RawMessage `json:"security"`
		Paths      json.RawMessage `json:"paths"`
		Components struct {
			Security json.RawMessage            `json:"securitySchemes"`
			Schemas  map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(openAPIPaths, &doc); err != nil {
		return nil, fmt.Errorf("read openapi.json: %w", err)
	}
	components, err := schemas.JSONSchemaComponents("#/components/schemas/")
	if err != nil {
		return nil, fmt.Errorf("make openapi.json: %w", err)
	}
	maps.Copy(doc.Components.Schemas, components)
	if version != "" {
		doc.Info["version"] = version
	}
	return json.Marshal(doc)
}

// openAPI answers GET /openapi.json.
func (a *API) openAPI(w http.ResponseWriter, _ *http.Request, _ string) error {
	return writeBody(w, http.StatusOK, a.document)
}
