package ingress

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// How long a balancer may take to read its configuration.
const patience = 20 * time.Second

// What a balancer is started and configured with.
type product struct {
	reload        func(running *os.Process, folder string) error
	command       func(folder, file string) []string
	configuration func(folder string, at listen, routes []route, certified []string) string
}

var products = map[string]product{
	"haproxy": {haproxyReload, haproxyCommand, haproxy},
	"nginx":   {nginxReload, nginxCommand, nginx},
}

func haproxyMaster(folder string) string { return filepath.Join(folder, "master.sock") }

func haproxyCommand(folder, file string) []string {
	return []string{"/usr/sbin/haproxy", "-W", "-db", "-S", haproxyMaster(folder), "-f", file}
}

// Answers once the new workers serve: what the routes say is told as accepted then, and not before.
// https://docs.haproxy.org/3.0/management.html#9.4.1
func haproxyReload(_ *os.Process, folder string) error {
	master, err := net.DialTimeout("unix", haproxyMaster(folder), patience)
	if err != nil {
		return err
	}
	defer master.Close()
	if err := master.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(master, "reload"); err != nil {
		return err
	}
	said, err := io.ReadAll(master)
	if err == nil && !strings.Contains(string(said), "Success=1") {
		err = fmt.Errorf("haproxy does not take its configuration: %s", said)
	}
	return err
}

// https://docs.haproxy.org/3.0/configuration.html
func haproxy(folder string, at listen, routes []route, certified []string) string {
	bind := fmt.Sprintf("  bind %s:%d\n", at.address, at.port)
	if len(certified) > 0 {
		bind += fmt.Sprintf("  bind %s:%d ssl alpn h2,http/1.1", at.address, at.tlsPort)
		for _, host := range certified {
			bind += " crt " + filepath.Join(folder, host+".pem")
		}
		bind += "\n"
	}
	redirects, rules, backends := "", "", ""
	for _, host := range certified {
		redirects += fmt.Sprintf("  http-request redirect scheme https code 308 if { hdr(host),field(1,:) -i %s } !{ ssl_fc }\n", host)
	}
	for number, route := range routes {
		host := fmt.Sprintf("{ hdr(host),field(1,:) -i %s }", route.host)
		rules += fmt.Sprintf("  use_backend route-%d if %s { path %s }\n", number, host, route.path)
		// A prefix is made of whole steps of the path.
		if !route.exact {
			rules += fmt.Sprintf("  use_backend route-%d if %s { path_beg %s/ }\n", number, host, strings.TrimSuffix(route.path, "/"))
		}
		backends += fmt.Sprintf("backend route-%d\n  server service %s\n", number, route.service)
	}
	return fmt.Sprintf(`global
  # New workers take the sockets of the old ones over: what waits in them is not lost.
  stats socket %s mode 600 expose-fd listeners
defaults
  mode http
  timeout connect 5s
  timeout http-request 30s
  timeout client 60s
  timeout server 60s
  # Above twice the gateways' heartbeat (30 s), which is what notices a dead peer.
  timeout tunnel 90s
frontend people
%s  # What a client says of itself is not believed.
  http-request del-header Forwarded
  http-request set-header X-Forwarded-For %%[src]
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
%s%s%s`, filepath.Join(folder, "stats.sock"), bind, redirects, rules, backends)
}

// Its sockets stay open, whatever it reads.
func nginxReload(running *os.Process, _ string) error { return running.Signal(syscall.SIGHUP) }

func nginxCommand(folder, file string) []string {
	directives := fmt.Sprintf("daemon off; pid %s/pid; error_log stderr warn;", folder)
	return []string{"/usr/sbin/nginx", "-p", folder, "-c", file, "-g", directives}
}

// https://nginx.org/en/docs/
func nginx(folder string, at listen, routes []route, certified []string) string {
	isCertified := map[string]bool{}
	for _, host := range certified {
		isCertified[host] = true
	}
	hosts := map[string]string{}
	order := []string{}
	for _, route := range routes {
		if _, known := hosts[route.host]; !known {
			order = append(order, route.host)
		}
		modifier := ""
		if route.exact {
			modifier = "= "
		}
		hosts[route.host] += fmt.Sprintf("    location %s%s { proxy_pass http://%s; }\n", modifier, route.path, route.service)
	}
	servers := ""
	for _, host := range order {
		listen := fmt.Sprintf("    listen %s:%d;\n", at.address, at.port)
		if isCertified[host] {
			file := filepath.Join(folder, host+".pem")
			listen = fmt.Sprintf("    listen %s:%d ssl;\n    ssl_certificate %s;\n    ssl_certificate_key %s;\n", at.address, at.tlsPort, file, file)
			servers += fmt.Sprintf("  server { listen %s:%d; server_name %s; return 308 https://$host$request_uri; }\n", at.address, at.port, host)
		}
		servers += fmt.Sprintf("  server {\n%s    server_name %s;\n%s  }\n", listen, host, hosts[host])
	}
	temporary := ""
	for _, what := range strings.Fields("client_body proxy fastcgi uwsgi scgi") {
		temporary += fmt.Sprintf("  %s_temp_path %s/%s;\n", what, folder, what)
	}
	return fmt.Sprintf(`user root;
events { worker_connections 16384; }
http {
  access_log off;
%s  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  proxy_http_version 1.1;
  proxy_set_header Host $host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header Forwarded "";
  # Above twice the gateways' heartbeat (30 s), which is what notices a dead peer.
  proxy_read_timeout 90s;
  client_max_body_size 1m;
  server { listen %s:%d default_server; return 404; }
%s}
`, temporary, at.address, at.port, servers)
}
