package web

import (
	"strings"

	"broadside/campaign/token"
	"broadside/configs"
)

// route returns what a path asks for: a reader's link with its token, a webhook with its
// name, a request of a program, a form with its name or a link that confirms it, or the path of another page. base
// is the path of the public URL: a proxy may leave
// it in or take it away. Doubled slashes count as one, as some mail programs
// and proxies make them.
func route(path, base string) (page, rest string) {
	path = singleSlashes(path)
	if inside, ok := strings.CutPrefix(path, base+"/"); ok && base != "" {
		if page, rest = match("/" + inside); page != "" {
			return page, rest
		}
	}
	return match(path)
}

// match is route for a path without the base; page is empty when there is none.
func match(path string) (page, rest string) {
	for _, link := range []string{token.Path, token.ClickPath, token.OpenPath} {
		if text, ok := strings.CutPrefix(path, link); ok {
			return link, token.Cut(text)
		}
	}
	if name, ok := strings.CutPrefix(path, hooksPath); ok {
		return hooksPath, strings.TrimSuffix(name, "/")
	}
	if rest, ok := strings.CutPrefix(path, apiPath); ok {
		return apiPath, rest
	}
	if name, ok := strings.CutPrefix(path, configs.SubscribePath); ok {
		return configs.SubscribePath, name
	}
	switch path {
	case healthPath, readyPath:
		return path, ""
	}
	return "", ""
}

func singleSlashes(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// stylePath returns the path of the stylesheet, as a browser asks for it.
func (s *Server) stylePath() string { return s.base + token.Path + s.cfg.Theme.StyleName + ".css" }
