"""The server: JSON over HTTP, and a web page. `create_app(library, settings)` makes the application.

    app, app_state   the application, and what its routes share
    routes/          one file for each group of addresses
    security/        access checks, limits, middleware
    jobs/            work that takes long, in processes of its own
    page/            the web page
    judging/         a page on which people judge the hits of several systems
    run              socket, processes, signals

docs/http.md explains the addresses, docs/serving.md how to run it.
"""
