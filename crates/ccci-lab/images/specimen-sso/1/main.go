// An app that cannot be used without its OpenID Connect provider: it looks its issuer up before it listens, logs
// people in by the code flow with state, nonce and PKCE, and tells them who they are.
//
//	GET /          the page; says who is logged in
//	GET /login     leads to the issuer
//	GET /callback  the way back from there; sets the session's cookie
//	GET /me        who is logged in, as JSON; 401 for nobody
//	GET /health    200 once the issuer is known
//
// OIDC_ISSUER, OIDC_CLIENT_ID and PUBLIC_URL say whom it trusts, as whom it asks, and where people find it;
// OIDC_AUDIENCE (the client unless set) for whom tokens must be meant. The client's secret is a file.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	listen     = ":8000"
	secretFile = "/run/secrets/oidc_client_secret"
	// How long the issuer may take for one answer.
	patience = 10 * time.Second
	// How long a login may take, from the first redirect to the last.
	loginTime = 10 * time.Minute
	// __Host-: only this host, only over TLS, for all of its paths.
	flowCookie    = "__Host-specimen_login"
	sessionCookie = "__Host-specimen_session"
)

// Person is who is logged in, as the issuer says.
type Person struct {
	Subject string `json:"sub"`
	Name    string `json:"name"`
	Email   string `json:"email"`
}

// flow is what must come back from a login: drawn anew for each, kept here, named by a cookie.
type flow struct {
	state, nonce, verifier string
	began                  time.Time
}

// app is the running app. Sessions live as long as it does.
type app struct {
	client   oauth2.Config
	tokens   *oidc.IDTokenVerifier
	mutex    sync.Mutex
	flows    map[string]flow
	sessions map[string]Person
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "health" {
		if err := askHealth(); err != nil {
			log.Fatal(err)
		}
		return
	}
	log.SetFlags(0)
	app, err := start()
	if err != nil {
		log.Fatalf("fatal: %v", err)
	}
	log.Printf("specimen-sso %s: listening on %s, logins by %s", os.Getenv("VERSION"), listen, os.Getenv("OIDC_ISSUER"))
	server := http.Server{Addr: listen, Handler: app.routes(), ReadHeaderTimeout: patience}
	log.Fatal(server.ListenAndServe())
}

// askHealth asks the running app, for the container's health check: there is no other program in the image.
func askHealth() error {
	client := http.Client{Timeout: 3 * time.Second}
	answer, err := client.Get("http://localhost" + listen + "/health")
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

// start finds the issuer. Without it there is no app.
func start() (*app, error) {
	issuer, id, url := os.Getenv("OIDC_ISSUER"), os.Getenv("OIDC_CLIENT_ID"), os.Getenv("PUBLIC_URL")
	for name, value := range map[string]string{"OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": id, "PUBLIC_URL": url} {
		if value == "" {
			return nil, fmt.Errorf("%s is not set", name)
		}
	}
	secret, err := os.ReadFile(secretFile)
	if err != nil {
		return nil, fmt.Errorf("no secret for the issuer: %w", err)
	}
	context, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	provider, err := oidc.NewProvider(context, issuer)
	if err != nil {
		return nil, fmt.Errorf("no issuer at %s: %w", issuer, err)
	}
	audience := os.Getenv("OIDC_AUDIENCE")
	if audience == "" {
		audience = id
	}
	return &app{
		client: oauth2.Config{
			ClientID:     id,
			ClientSecret: strings.TrimSpace(string(secret)),
			Endpoint:     provider.Endpoint(),
			RedirectURL:  url + "/callback",
			Scopes:       []string{oidc.ScopeOpenID, "profile", "email"},
		},
		tokens:   provider.Verifier(&oidc.Config{ClientID: audience}),
		flows:    map[string]flow{},
		sessions: map[string]Person{},
	}, nil
}

func (a *app) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /{$}", a.page)
	routes.HandleFunc("GET /login", a.login)
	routes.HandleFunc("GET /callback", a.callback)
	routes.HandleFunc("GET /me", a.me)
	routes.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return routes
}

func (a *app) page(w http.ResponseWriter, r *http.Request) {
	said := `<p>Nobody is logged in.</p><p><a id="login" href="/login">Log in</a></p>`
	if person, ok := a.person(r); ok {
		said = fmt.Sprintf("<p>Welcome, %s.</p><p>You are logged in as <b>%s</b>.</p>",
			html.EscapeString(person.Name), html.EscapeString(person.Email))
	}
	show(w, http.StatusOK, "Specimen "+os.Getenv("VERSION"), said)
}

// show writes a page; the title is text, what is said is HTML.
func show(w http.ResponseWriter, status int, title, said string) {
	title = strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(title)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html><html lang=en><title>%s</title><h1>%s</h1>%s</html>\n", title, title, said)
}

func (a *app) login(w http.ResponseWriter, r *http.Request) {
	flow := flow{rand.Text(), rand.Text(), oauth2.GenerateVerifier(), time.Now()}
	id := rand.Text()
	a.mutex.Lock()
	for old, other := range a.flows {
		if time.Since(other.began) > loginTime {
			delete(a.flows, old)
		}
	}
	a.flows[id] = flow
	a.mutex.Unlock()
	setCookie(w, flowCookie, id, int(loginTime.Seconds()))
	to := a.client.AuthCodeURL(flow.state, oidc.Nonce(flow.nonce), oauth2.S256ChallengeOption(flow.verifier))
	http.Redirect(w, r, to, http.StatusFound)
}

func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	person, err := a.finish(r)
	setCookie(w, flowCookie, "", -1)
	if err != nil {
		log.Printf("login failed: %v", err)
		show(w, http.StatusUnauthorized, fmt.Sprintf("The login failed: %v", err), `<p><a href="/login">Try again</a></p>`)
		return
	}
	id := rand.Text()
	a.mutex.Lock()
	a.sessions[id] = person
	a.mutex.Unlock()
	setCookie(w, sessionCookie, id, 0)
	http.Redirect(w, r, "/", http.StatusFound)
}

// finish takes a login's answer, if it is that of a login that this browser began here.
func (a *app) finish(r *http.Request) (Person, error) {
	cookie, err := r.Cookie(flowCookie)
	if err != nil {
		return Person{}, errors.New("this browser has begun no login")
	}
	a.mutex.Lock()
	flow, known := a.flows[cookie.Value]
	delete(a.flows, cookie.Value)
	a.mutex.Unlock()
	if !known || time.Since(flow.began) > loginTime || r.FormValue("state") != flow.state {
		return Person{}, errors.New("this is not the answer to the login that this browser began")
	}
	if denied := r.FormValue("error"); denied != "" {
		return Person{}, fmt.Errorf("the issuer says %s: %s", denied, r.FormValue("error_description"))
	}
	return a.redeem(r.Context(), r.FormValue("code"), flow)
}

// redeem gives a code for the ID token it stands for, and reads who it names.
func (a *app) redeem(ctx context.Context, code string, flow flow) (Person, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	granted, err := a.client.Exchange(ctx, code, oauth2.VerifierOption(flow.verifier))
	if err != nil {
		return Person{}, fmt.Errorf("the code was not taken: %w", err)
	}
	raw, _ := granted.Extra("id_token").(string)
	token, err := a.tokens.Verify(ctx, raw)
	if err != nil {
		return Person{}, fmt.Errorf("the ID token does not hold: %w", err)
	}
	if token.Nonce != flow.nonce {
		return Person{}, errors.New("the ID token is that of another login")
	}
	var person Person
	if err := token.Claims(&person); err != nil {
		return Person{}, fmt.Errorf("the ID token cannot be read: %w", err)
	}
	return person, nil
}

func (a *app) me(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	person, ok := a.person(r)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintln(w, `{"error":"nobody is logged in"}`)
		return
	}
	json.NewEncoder(w).Encode(person)
}

// person is who is logged in in this browser.
func (a *app) person(r *http.Request) (Person, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return Person{}, false
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	person, ok := a.sessions[cookie.Value]
	return person, ok
}

// setCookie sets a cookie for this browser's time, or for so many seconds; a negative number removes it.
func setCookie(w http.ResponseWriter, name, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: seconds,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
