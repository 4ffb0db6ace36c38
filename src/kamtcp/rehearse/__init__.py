"""Stand-ins: a host of namespaces, and a real Kamailio in it that nothing outside can see.

standin.py    net, mount, pid, uts and ipc namespaces with overlays; gone when its keeper is
scenario.py   small configurations
kamailio.py   Kamailio in a stand-in: started, waited for, stopped
"""
