"""kamailio"""
