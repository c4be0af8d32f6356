package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

//go:embed pages/page.html
var pageHTML string

// The style is written into the page, so that a reader's browser asks for
// nothing else. It must not contain comments: html/template removes them, and
// then the hash in the policy would not fit.
//
//go:embed pages/style.css
var pageCSS string

type page struct {
	template  *template.Template
	styleHash string // of the style, as Content-Security-Policy wants it
}

// content is what a page says.
type content struct {
	Title  string
	Text   string
	Button string // label of the button that unsubscribes; empty: there is none
}

func newPage() (*page, error) {
	style := "\n" + pageCSS
	t, err := template.New("page").Parse(strings.Replace(pageHTML, "STYLE", style, 1))
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	sum := sha256.Sum256([]byte(style))
	return &page{t, "sha256-" + base64.StdEncoding.EncodeToString(sum[:])}, nil
}

func (p *page) write(w http.ResponseWriter, status int, c content) error {
	var out bytes.Buffer
	if err := p.template.Execute(&out, c); err != nil {
		return fmt.Errorf("render page %q: %w", c.Title, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // an error means that the client is gone
	return nil
}
