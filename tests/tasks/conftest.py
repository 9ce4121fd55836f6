import toy_envs

toy_envs.register()
