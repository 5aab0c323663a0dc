package policies

import (
	"fmt"
	"sort"
	"strings"

	core "k8s.io/api/core/v1"
	net "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What the rules follow from.
type cluster struct {
	policies   []*net.NetworkPolicy
	pods       []*core.Pod
	namespaces []*core.Namespace
}

const table = "klatch_policies"

// The whole table. A packet passes what its sender may send and its receiver may receive; a pod that no policy of a direction
// selects may do everything there (https://kubernetes.io/docs/concepts/services-networking/network-policies/). What comes from
// the node itself, such as probes, meets neither hook.
func render(seen cluster) string {
	var chains, jumps []string
	for _, pod := range seen.pods {
		if !onNetwork(pod) {
			continue
		}
		address := strings.ReplaceAll(pod.Status.PodIP, ".", "_")
		if allowed, isolated := seen.egress(pod); isolated {
			chains = append(chains, chain("from_"+address, pod, allowed))
			jumps = append(jumps, fmt.Sprintf("    ip saddr %s jump from_%s\n", pod.Status.PodIP, address))
		}
		if allowed, isolated := seen.ingress(pod); isolated {
			chains = append(chains, chain("to_"+address, pod, allowed))
			jumps = append(jumps, fmt.Sprintf("    ip daddr %s jump to_%s\n", pod.Status.PodIP, address))
		}
	}
	sort.Strings(chains)
	sort.Strings(jumps)
	return fmt.Sprintf(`table ip %[1]s
delete table ip %[1]s
table ip %[1]s {
%[2]s  chain judge {
    ct state established,related return
%[3]s  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    jump judge
  }
  chain input {
    type filter hook input priority 0; policy accept;
    jump judge
  }
}
`, table, strings.Join(chains, ""), strings.Join(jumps, ""))
}

func onNetwork(pod *core.Pod) bool {
	running := pod.Status.Phase != core.PodSucceeded && pod.Status.Phase != core.PodFailed
	return running && !pod.Spec.HostNetwork && pod.Status.PodIP != ""
}

func chain(name string, pod *core.Pod, allowed []string) string {
	sort.Strings(allowed)
	body := ""
	for _, match := range allowed {
		body += "    " + match + "return\n"
	}
	return fmt.Sprintf("  # %s/%s\n  chain %s {\n%s    counter drop\n  }\n", pod.Namespace, pod.Name, name, body)
}

func (seen cluster) egress(pod *core.Pod) (allowed []string, isolated bool) {
	for _, policy := range seen.selecting(pod, net.PolicyTypeEgress) {
		isolated = true
		for _, rule := range policy.Spec.Egress {
			// A named port is the receiver's.
			allowed = append(allowed, seen.matches("daddr", policy.Namespace, rule.To, rule.Ports, nil)...)
		}
	}
	return allowed, isolated
}

func (seen cluster) ingress(pod *core.Pod) (allowed []string, isolated bool) {
	for _, policy := range seen.selecting(pod, net.PolicyTypeIngress) {
		isolated = true
		for _, rule := range policy.Spec.Ingress {
			allowed = append(allowed, seen.matches("saddr", policy.Namespace, rule.From, rule.Ports, pod)...)
		}
	}
	return allowed, isolated
}

func (seen cluster) selecting(pod *core.Pod, direction net.PolicyType) (found []*net.NetworkPolicy) {
	for _, policy := range seen.policies {
		if policy.Namespace != pod.Namespace || !selects(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		for _, of := range policy.Spec.PolicyTypes {
			if of == direction {
				found = append(found, policy)
			}
		}
	}
	return found
}

// The packets that a rule allows, as nftables says it: each of its peers with each of its ports. The receiver is known for what
// comes in; for what goes out it is the peer.
func (seen cluster) matches(side, namespace string, peers []net.NetworkPolicyPeer, ports []net.NetworkPolicyPort, receiver *core.Pod) (all []string) {
	if len(peers) == 0 {
		return onPorts("", ports, receiver)
	}
	for _, peer := range peers {
		if peer.IPBlock != nil {
			match := fmt.Sprintf("ip %s %s ", side, peer.IPBlock.CIDR)
			if len(peer.IPBlock.Except) > 0 {
				match += fmt.Sprintf("ip %s != { %s } ", side, strings.Join(peer.IPBlock.Except, ", "))
			}
			all = append(all, onPorts(match, ports, receiver)...)
			continue
		}
		for _, pod := range seen.pods {
			if !onNetwork(pod) || !seen.isPeer(peer, namespace, pod) {
				continue
			}
			of := receiver
			if of == nil {
				of = pod
			}
			all = append(all, onPorts(fmt.Sprintf("ip %s %s ", side, pod.Status.PodIP), ports, of)...)
		}
	}
	return all
}

func (seen cluster) isPeer(peer net.NetworkPolicyPeer, namespace string, pod *core.Pod) bool {
	if peer.PodSelector != nil && !selects(peer.PodSelector, pod.Labels) {
		return false
	}
	if peer.NamespaceSelector == nil {
		return pod.Namespace == namespace
	}
	for _, candidate := range seen.namespaces {
		if candidate.Name == pod.Namespace {
			return selects(peer.NamespaceSelector, candidate.Labels)
		}
	}
	return false
}

func onPorts(match string, ports []net.NetworkPolicyPort, receiver *core.Pod) (all []string) {
	if len(ports) == 0 {
		return []string{match}
	}
	for _, port := range ports {
		protocol := "tcp"
		if port.Protocol != nil {
			protocol = strings.ToLower(string(*port.Protocol))
		}
		switch {
		case port.Port == nil:
			all = append(all, fmt.Sprintf("%smeta l4proto %s ", match, protocol))
		case port.Port.Type == intstr.String:
			if number := named(port.Port.StrVal, protocol, receiver); number != 0 {
				all = append(all, fmt.Sprintf("%s%s dport %d ", match, protocol, number))
			}
		case port.EndPort != nil:
			all = append(all, fmt.Sprintf("%s%s dport %d-%d ", match, protocol, port.Port.IntVal, *port.EndPort))
		default:
			all = append(all, fmt.Sprintf("%s%s dport %d ", match, protocol, port.Port.IntVal))
		}
	}
	return all
}

func named(name, protocol string, receiver *core.Pod) int32 {
	if receiver == nil {
		return 0
	}
	for _, container := range receiver.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name && strings.EqualFold(string(port.Protocol), protocol) {
				return port.ContainerPort
			}
		}
	}
	return 0
}

func selects(selector *meta.LabelSelector, of map[string]string) bool {
	matcher, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && matcher.Matches(labels.Set(of))
}
