# Two hosts on one machine, in network namespaces with no way out, joined by one cable (va, vb); sourced, as root.
#   two_hosts_up || ...    false: it cannot be done here; network.log says why
#   two_hosts_rate 1gbit   how fast the cable is, each way
#   two_hosts_loss 5       of 1000 packets lost, each way (0: none)
#   two_hosts_cable down   or up
#   two_hosts_bytes        sent by the first host so far
#   two_hosts_mpirun N [MPIRUN'S OPTIONS] -- PROGRAM...    N ranks, half of them on each; replaces the shell: ( ... ) around it
#   two_hosts_down         in the trap of whoever sources this

two_hosts_up() {
    [ "$(id -u)" = 0 ] && command -v ip >/dev/null && two_hosts_make 2>network.log
}

two_hosts_make() {
    cat >agent.sh <<'END'
#!/bin/sh
# remote shell for mpirun: the namespace of an address
case $1 in 10.77.0.1) n=a ;; *) n=b ;; esac
shift
exec ip netns exec gradus-$n unshare --uts sh -c "hostname node-$n; $*"
END
    chmod +x agent.sh && ip netns add gradus-a && ip netns add gradus-b &&
        ip -n gradus-a link add va type veth peer name vb netns gradus-b &&
        ip -n gradus-a addr add 10.77.0.1/24 dev va && ip -n gradus-b addr add 10.77.0.2/24 dev vb &&
        ip -n gradus-a link set lo up && ip -n gradus-b link set lo up &&
        ip -n gradus-a link set va up && ip -n gradus-b link set vb up
}

two_hosts_down() {
    ip netns del gradus-a 2>/dev/null || true
    ip netns del gradus-b 2>/dev/null || true
}

two_hosts_rate() {
    tc -n gradus-a qdisc replace dev va root tbf rate "$1" burst 256kb latency 50ms
    tc -n gradus-b qdisc replace dev vb root tbf rate "$1" burst 256kb latency 50ms
}

two_hosts_loss() {
    local n
    for n in a b; do
        ip netns exec gradus-$n nft delete table inet loss 2>/dev/null || true
        [ "$1" = 0 ] || ip netns exec gradus-$n nft -f - <<END
add table inet loss
add chain inet loss in { type filter hook input priority 0; }
add rule inet loss in numgen random mod 1000 < $1 drop
END
    done
}

two_hosts_cable() {
    ip -n gradus-a link set va "$1"
}

two_hosts_bytes() {
    ip netns exec gradus-a cat /sys/class/net/va/statistics/tx_bytes
}

two_hosts_mpirun() {
    local ranks=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=("$1") && shift; done
    shift
    unset OMPI_MCA_btl_tcp_if_include OMPI_MCA_oob_tcp_if_include
    exec ip netns exec gradus-a unshare --uts sh -c 'hostname node-a; exec "$@"' sh mpirun -np "$ranks" \
        --host 10.77.0.1:$((ranks / 2)),10.77.0.2:$((ranks - ranks / 2)) --mca plm rsh --mca plm_rsh_agent "$PWD/agent.sh" \
        --mca pml ob1 --mca btl self,vader,tcp --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 "${options[@]}" "$@"
}
